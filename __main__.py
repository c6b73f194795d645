"""`python -m nearhop` is the `nearhop` command."""

from .cli import main

if __name__ == "__main__":
    main()
