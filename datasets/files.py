"""The files that datasets are made of: size and SHA-256 of each one's content, and where it is published.

Sizes and digests are of the unpacked content, so gzipped and plain copies are both accepted. A published address is
given only where the exact path and commit are known; for other files the errors name the repository to take them from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote

HOST = "https://raw.githubusercontent.com"

_FILES = {
    "ann": """
glove-twitter-25d.txt.gz 2995149 07a7d24f0090c77e2a951b9311316baadd0d26b01e090053c298fe6f02107886
mnist-t3k-images-idx3-ubyte.gz 2352016 a9d43786f02b7e11bdaa95b8927a9acdf8df838d28c1db8e03b5407c78518f69
mnist-t3k-labels-idx1-ubyte.gz 3008 963d381bad1d38ee3d5f93ca03b54fd0d18309d319af44f5c347ad71e870d94c
mnist-train-images-idx3-ubyte.gz 47040016 ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db
mnist-train-labels-idx1-ubyte.gz 60008 65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5
""",
    "cann": """
herz-jesus-p25.npz 6631630 e6dc9499b3456a418f3f98de83197136cfa7721c44a5c68cfe376214d2bf7a21
""",
    "communities": """
email-Eu-core-department-labels.txt 6547 cc453837c131cbe8634ac4e2615b1553256bd6f5c07e1304a6f059dbc225e689
email-Eu-core.txt 192711 8a20ebaf7c7fcc295c38d1d2d521182a0e2faa5a9af61930d1e4fce4cbac52ec
facebook-combined.jlg 854528 62b55515c753ed2183b1a08bf81e94efbca1378c6fc22e65a5376f23602e9e76
football.gml 31877 ba7e4be5f40ed427d78eee926290a4639b68cc6d62bea856731d627859423592
mnist-tr-nei10.npz 2475394 8d47745d6fc931fbdf2d02d8dc6a9e2e1b71caa1324555cd790fafebccebdb68
polblogs.gml.gz 832982 0e0dd4d8a289cdbd357cfef416ec08d600aa803a9c855f78cd4813832fda93e8
""",
    "embedding": """
PPI.cmty.gz 31336 d57a61e7cc5c46acafdd370c5126a2a5c57cb23f1a84ed1d0877f20149c90637
PPI.ungraph.gz 365887 853faf8f8f9705d0ccf2f12db80277cc779ccef04ba6a8703671138dca76796a
blogcatalog.mat 1255783 d4f4fb89ce1ccd4b7e2a183386c000773cc9362cc61f1be5b246a6d9c259da8f
dblp.cmty.gz 296474 9d18fa32e37ff9f1489321f94586ec8022026c8fe6f19a78bf1d51ca4cbea6b9
dblp.ungraph.gz 1454219 dfffc3dacacfc2af2b0b924e14d9b5730702c27cf86cc59a3b8d1822e4f6aaee
wikipedia.cmty.gz 32250 4637f70be5df82868d01e2fca2c9a702d35457beedf0f42c55a79b749d1f2411
wikipedia.ungraph.gz 887757 b7fb8e25ce2870a518004e1efff4a691545d358fdb401bfa2f0d2091f58de4ef
""",
    "gnn_benchmark": """
amazon_electronics_computers.npz 3413729 c6884ab186f0164a28c4eff3b0d475d34e130943508e959a37ca8287fab27a4d
amazon_electronics_photo.npz 1766825 bfd3ee29622e8394c100621ee00537d738b606ecd06d513c7ceb1cd9dc7f1ef0
cora_ml.npz 775480 0460d25b737774a78a588838daf20afe9291b4eb89da2aa3d517244d3fc2bb0b
ms_academic_cs.npz 2633158 7bbda0ec297bb44efc712cc59f9e9a6c9ac959e5c4848e311bc7e011b0be5753
ms_academic_phy.npz 3513503 16df58ffe9c5d6e73220f42cc5a9f7056d2f7d076d779d9d73f1d2470f9e6592
""",
    "heterophilous": """
actor.npz 252956 c350eef06b2c2a9bf8218be2b57cac6d4003d0922eb597a039e9123f75817816
chameleon_filtered.npz 58924 bf46f07e1fb5249280447e5fe3100f3e82fc4b93ad1e13ffcfdec924b6ac0bb5
minesweeper.npz 135045 e664c8dacf1e8ac466c2c09ed4b237bd2c5541f47a6eae9c6092cb87f16412b3
""",
    "large": """
Cornell5.mat 3543757 d9ff76ae34e855cb77b0779a3a320f7f73f848901cb13352e2734c17804c4aec
JohnsHopkins55.mat 735150 fc7243bf257155df03afbc397ab34b5f8eb8e75f40cd1603398e207a033ef50f
ego-twitter-undirected.jlg 15131771 b05b41bf0f9e78a9af6ddfb927f82d40d7f8e4cc724bea316db1513b8eeb6cfa
facebook_page_edges.csv.gz 1882610 7c50d8f02a75cc0829577814a1fc14535164daa38d79c3612340c9e9cdbd4022
facebook_page_features.json.gz 2088766 ea870537646a93642a0008d38aa9bfeff02018070ba97b1f3f469d9622626436
facebook_page_target.csv.gz 1177912 7bd96eafea3c2ca40f44bfa9e73642194696c21e38c7b29ed409c32ad14075cd
github_edges.csv.gz 3306139 34c57382246949d1b3b7fa641a8532672001ecae8e9558f0b3c113cc035bd781
github_target.csv.gz 290500 2e733f092fd69ef436c68883907d2c184ded3cb95a89b33e435cbd2f2678355b
""",
    "large/nell": """
ind.nell.0.001.allx.gz 2710725 092de8541bfd3a6a9a5364ea73224e08c3b0605033c69dc926f26004a3e93681
ind.nell.0.001.graph.gz 2285719 865faeed5d7037fb21122844ec09292b9c8b59710dcf2dc126cc13069a70365b
ind.nell.0.001.test.index.gz 5811 c546df8c960fc961b75d9566a1431c16d9a064725effdcd70a615ec0a31fe907
ind.nell.0.001.tx.gz 295978 93016916f57043f6402d9c15654328dbda143f8adcf2b1afd2638caff76808bf
ind.nell.0.001.ty.gz 814095 07a2a8a95063e14b05592322362011993ce95e7ddb87c8246ebd57607768a5c5
ind.nell.0.001.x.gz 31104 284de725538a6703f3b26ac8f252dc1c43a2fd0df46e78a618a2391a0c9ed63a
ind.nell.0.001.y.gz 88334 88926c6959052cffd51f1d4218b11c35403c0c43f21a52489fbec4676a6a205e
""",
    "large/threads-ask-ubuntu": """
threads-ask-ubuntu-nverts.txt.gz 385899 1a98a36b1f8c2d0650c90188be7db1aee7bca1aa6a60e649484ce874f18ab01b
threads-ask-ubuntu-simplices.txt.gz 2127921 ca8895e99c8e6c0a7a453a8faf738a7cef66ebaaba3a2763bd52edfcdb02ffe5
threads-ask-ubuntu-times.txt.gz 2465394 49b5ab914e4cbb905a8ca523f12a53cb345f4aad80dd464cd75a33858c17f763
""",
    "large/threads-math-sx": """
threads-math-sx-nverts.txt.gz 1439768 319d89296995337a8678981559ab9eea8e71c2071674039ce28a5c3d248ea187
threads-math-sx-simplices.txt.gz 9748706 6dea98286424b147c461fb81ac47c573785023ad5ec6f233bc9a7291a60f184b
""",
    "linkpred": """
Celegans.mat 6263 450bb6f3ca833a65f53ee59103945ef87da70de2c6d262b1a760b9eefce287d6
Ecoli.mat 35769 6701fdf0a01c01406e98f9874b04d4fbcae5786d71fad009f4501c0b6086df5e
NS.mat 9379 c69258a674e13115e34ec11343c92f352bcec635baf3fe40f0adf6e8a5037019
PB.mat 51773 c0eca0a3b5bac0ecd46491c2a1e080ec22e445d28f9975bc776dc07b3d672d88
Power.mat 31194 87d7b9d5449b6a18fad4fdd662efd33be84c805ea66692f9e2e0791569c5a478
Router.mat 31434 bae603199c2ddb0f8776acb1962c9c6ed89773da9d41377d6a7f8cc2b1e3a1c1
USAir.mat 5213 6b48a37e2bb398234e5383787c30dca087de704366a2b7b05d64cc2f53210e0b
Yeast.mat 34354 2d199acffa6cecd9dfd0d13f0c4eaecd34158e83f1a717e5da7e38089692e112
""",
    "planetoid": """
ind.citeseer.allx 595021 2ac30345d95c9ec933a817ee0bdd6a5f077f8c184a20e696910192d534414668
ind.citeseer.ally 55623 f704b2d986dde6c2669934de1f3ae5696a6cf9455c0f6b2646a2d135ea0a1c95
ind.citeseer.graph 61987 d79a4ef9d3e7169aee8946145f6b7306e35bc79bffad26346cfb94e10e9912a7
ind.citeseer.test.index 5000 2af990671580b6b2df5d158d1038f8292e30c9cd821b5453f399659b25b723d4
ind.citeseer.tx 260321 539a8906a2da97628d212f2fdd668c109a8b3f0d36574b59e5d3fd5b5303da21
ind.citeseer.ty 24135 55e5bd1ba1e733a04598753ad1a8d57957f4b8f89e74519f41f4f4938767e4ce
ind.citeseer.x 31087 d20de19150741e555de0ed037195630fc194114ebc7fd72ced62810148aa22f6
ind.citeseer.y 3014 8ba87e515d8e3ee3cf52f6d2c5b86aa73f11ecad825a808455209ec26cd54924
ind.cora.allx 257305 9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543
ind.cora.ally 47959 2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71
ind.cora.graph 59847 58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d
ind.cora.test.index 5000 297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875
ind.cora.tx 148025 b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a
ind.cora.ty 28135 41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad
ind.cora.x 22119 23cfa55d91c6f624233f5eb7b6e3f141f1bd2b2ae39608a63cf5d084bb27baab
ind.cora.y 4054 94465c14eb53e04ca262198dcbb2521ee8af60fb3f3d546cd6ca24a511b0e7d1
ind.pubmed.ally 224739 0c37bbe3b5014ec365e9d393cf4791925e5ed94fb194305d74f064a8d7b50f0e
ind.pubmed.graph 471808 5b89f0036ca22909471f1e6558eb42fa06e0c730a577bde5b058b40638f81dc9
ind.pubmed.test.index 6000 b101d421688bbaecbd82e8a18f1e282378d6830f3a37666f28ebc47f844341b5
ind.pubmed.tx 405505 4eb5f5d0f30f26497eb0ac6ac9719d09c67e284f1ed0385c93f3ef27a671da3d
ind.pubmed.ty 12135 ee2e0d4819d9fbcc403689c3bf2e49face401b605932f093bc58ab6461130fdd
ind.pubmed.x 23172 fbe9cb5c47200d1b7769a26e579be3b7130b556831f9d850e77c4c74f2599b33
ind.pubmed.y 854 e6c807633307a07ed659249006536a147c7999c797f11a2560752990181b41b3
""",
    "temporal": """
CollegeMsg.txt.gz 1150439 e00ba2415373dee52c00616065bcceaa4750e78de60d1855c76470600f10740f
bitcoinotc.konect.txt.gz 1009886 84b05a82c8966bce084942615a0cf3b782d696cdd9007dc93fb480f2837e1ccb
ml_enron.csv.gz 4053151 83777a7449e31ab486bb64242180a04beda61c23798b2fc1f6deea530fbd2cef
ml_uci.csv.gz 1789802 5ba41c54e0f9fa1031924cf5ed34d6b3d5c38fd5468364a394900fb4474f302f
pubmed_edge_directed.npy 88776 9164378ff37bfa3b197ea2bb845f8b5e83b8f0b8c4f86d0afacb7c63cfe33c80
pubmed_edge_time.npy 709312 edf24e21405e17904bdb115f9b99475e5388b3ce00978aa83eda09041a21b370
pubmed_node_time.npy 157864 5abc4d60a25a936561cd1eca1e481b0cde354105b5f487bda591957c80fcaceb
sx-mathoverflow.txt.gz 10924386 2bf52f784cdba69730f912633aa1414b381059406ded2c38bc37658ead5b0773
wikipedia_time.txt.gz 3011340 d2ddf089aa38a77d01ca404d1a2db04d6635f0e021357599843af417afe2cb6c
""",
    "temporal/contact-high-school": """
contact-high-school-nverts.txt.gz 344070 00c16332961640f158f7651dec7fed9b69d4a0da2446f9c5fcd8af5c9f53bb9e
contact-high-school-simplices.txt.gz 1250872 35241fd536981339e67717c9a9c820ffd81225d93ec4a0950532e2d636011bbe
contact-high-school-times.txt.gz 1892385 d11e5acb07755f3d5603fc4f7b4593bab139824c1c9c1d4a4a67e157deaf9786
""",
    "tu": """
ENZYMES.txt.gz 282255 04e048844018a0f9c87afdc0d69031c4b625bb97d40320b9dbd76acc663f41a6
IMDBBINARY.txt.gz 581321 1068c698677c07c04f3ad56fc4a175cb2161523c840abfdaf50e101ecc30504f
IMDBMULTI.txt.gz 572161 f4cc1b32112303bf1b16a8351df8b8073978fdead823775fbe79e60cf94e7009
MUTAG.txt.gz 32377 5897dae243f6c773aab54ec99e86551c3b1e8601acef254714073042c632d30e
NCI1.txt.gz 1228668 415d2e0861484c2baef1e40ee3ca62dd13c06d6b99549fb25774f43533e9321d
PROTEINS.txt.gz 642021 ed0730f9bf9da68aa6a8c80f2f2b6ecea5d05791ca254c709f3efab3b45d937b
PTC.txt.gz 89912 711729eaf2a5308752aa7c11062dd99f645f978afc400909a5927051b314ec55
""",
}

# pattern of our path -> repository, commit, path there (\1 is the first group)
_PUBLISHED = (
    (r"planetoid/(ind\..+)", "kimiyoung/planetoid", "af6abf468a772cc055bec88c52e4d6f51b7c37e3", r"data/\1"),
    (r"embedding/(PPI\.ungraph)\.gz", "THUDM/ProNE", "53c5b261596365634b1b09b358e043474733e52e", r"data/\1"),
    (r"embedding/(PPI\.cmty)\.gz", "THUDM/ProNE", "4284b74371ee093f163081a4e71b52b73acc981e", r"data/\1"),
    (r"embedding/(wikipedia\..+)\.gz", "THUDM/ProNE", "4284b74371ee093f163081a4e71b52b73acc981e", r"data/\1"),
    (
        r"linkpred/((?:USAir|Celegans|Power|Router|Ecoli)\.mat)",
        "muhanzhang/SEAL",
        "ea2d4249cfed4c5a570538a939f90469957b5f94",
        r"Python/data/\1",
    ),
    (
        r"linkpred/((?:NS|PB|Yeast)\.mat)",
        "muhanzhang/SEAL",
        "ea2d4249cfed4c5a570538a939f90469957b5f94",
        r"MATLAB/data/\1",
    ),
    (
        r"heterophilous/(.+)",
        "yandex-research/heterophilous-graphs",
        "a431395582e929d88271309716bea4fe24ce6318",
        r"data/\1",
    ),
    (
        r"large/(Cornell5\.mat)",
        "CUAI/Non-Homophily-Large-Scale",
        "c2a1759aecd71d5604aa1a5a4719e3ffded18249",
        r"data/facebook100/\1",
    ),
    (
        r"large/JohnsHopkins55\.mat",
        "CUAI/Non-Homophily-Large-Scale",
        "c2a1759aecd71d5604aa1a5a4719e3ffded18249",
        r"data/facebook100/Johns Hopkins55.mat",
    ),
    (
        r"large/(ego-twitter)-undirected\.jlg",
        "JuliaGraphs/SNAPDatasets.jl",
        "cc0f402d7b44a58b4bba4e03d324aa7c33af872d",
        r"data/\1/\1-undirected.jlg",
    ),
    (
        r"communities/(facebook-combined)\.jlg",
        "JuliaGraphs/SNAPDatasets.jl",
        "cc0f402d7b44a58b4bba4e03d324aa7c33af872d",
        r"data/\1/\1.jlg",
    ),
    (
        r"(?:large|temporal)/((?:threads|contact)-.+)",
        "arbenson/ScHoLP-Data",
        "aec102c25e303c92823b20437e3c66861b57d7c9",
        r"\1",
    ),
    (
        r"temporal/(wikipedia)_time\.txt\.gz",
        "Samer-hue/DicTED",
        "e9eaecaad4e60e32493ed56d50ea8205228a3041",
        r"processed/\1/\1_time.txt",
    ),
    (
        r"temporal/ml_(uci)\.csv\.gz",
        "Samer-hue/DicTED",
        "e9eaecaad4e60e32493ed56d50ea8205228a3041",
        r"processed/\1/ml_\1.csv",
    ),
    (
        r"temporal/pubmed_(.+\.npy)",
        "nelsonaloysio/pubmed-temporal",
        "99a66775dff40eb2c5c7eaaf1d581f1682e0712b",
        r"pubmed/temporal/raw/\1",
    ),
    (
        r"communities/(football\.gml)",
        "zghh/community-detection",
        "e4a85de88def3552940ccf7a645cd8e0b628dcab",
        r"data/\1",
    ),
    (
        r"communities/(polblogs\.gml)\.gz",
        "zghh/community-detection",
        "b7a47bfd1155dbab6583c20b56d0a0734a20f05a",
        r"data/\1",
    ),
    (
        r"communities/(email-Eu-core\.txt)",
        "saimasharleen/BDT2023-Group11",
        "763bdab85b25f9e1015178d486e89314dc842934",
        r"visualization/\1",
    ),
    (
        r"communities/(email-Eu-core-department-labels\.txt)",
        "saimasharleen/BDT2023-Group11",
        "8c7a2da3c67217f2f910185227ce2e4545e2ee2d",
        r"data/\1",
    ),
    (
        r"communities/(mnist-tr-nei10\.npz)",
        "baojian/FastONL",
        "f63c33c9b13dd03bdcd5525bec8956a63aedbf7c",
        r"datasets/\1",
    ),
)


@dataclass(frozen=True)
class DataFile:
    """One file: its path inside a data folder, and the size and SHA-256 of its unpacked content."""

    path: str
    size: int
    sha256: str

    @property
    def url(self) -> str | None:
        """The public address of this exact file, or None where it is not known with certainty."""
        for pattern, repository, commit, there in _PUBLISHED:
            match = re.fullmatch(pattern, self.path)
            if match:
                return f"{HOST}/{repository}/{commit}/{quote(match.expand(there))}"
        return None


@cache
def table() -> dict[str, DataFile]:
    """Every known file by its path."""
    found = {}
    from .circuits.listing import FILES

    for folder, lines in (_FILES | FILES).items():
        for line in lines.split("\n")[1:-1]:
            name, size, digest = line.split()
            found[f"{folder}/{name}"] = DataFile(f"{folder}/{name}", int(size), digest)
    return found
