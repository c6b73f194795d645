from .skipgram import SkipGram as SkipGram
