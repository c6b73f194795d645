"""The table of datasets and of the places they come from.

Counts are those of the loaded store, and a test holds every one of them against the files.
"""

from __future__ import annotations

# origin -> source, licence stated there, paper
ORIGINS = {
    "planetoid": (
        "github.com/kimiyoung/planetoid @ af6abf468a77",
        "MIT",
        "Yang, Cohen, Salakhutdinov, ICML 2016, arXiv:1603.08861",
    ),
    "pubmed-temporal": (
        "github.com/nelsonaloysio/pubmed-temporal @ 99a66775dff4",
        "none stated",
        "the repository; graph: Yang et al., ICML 2016, arXiv:1603.08861",
    ),
    "nell": (
        "github.com/EdisonLeeeee/GraphData @ f8022c26b917",
        "MIT",
        "Yang, Cohen, Salakhutdinov, ICML 2016, arXiv:1603.08861",
    ),
    "fastrp": ("github.com/GTmac/FastRP @ 3a6a71c02a47", "MIT", "Tang and Liu, KDD 2009, doi:10.1145/1557019.1557109"),
    "prone": ("github.com/THUDM/ProNE @ 873630a5943f", "MIT", "Zhang et al., IJCAI 2019, doi:10.24963/ijcai.2019/594"),
    "gnn-benchmark": (
        "github.com/EdisonLeeeee/GraphData @ f8022c26b917, matrices re-encoded without pickles",
        "MIT",
        "Shchur et al., 2018, arXiv:1811.05868",
    ),
    "email": (
        "github.com/saimasharleen/BDT2023-Group11 @ 918f318b9036 (SNAP email-Eu-core)",
        "none stated",
        "Leskovec, Kleinberg, Faloutsos, TKDD 2007, doi:10.1145/1217299.1217301",
    ),
    "communities": (
        "github.com/zghh/community-detection @ b7a47bfd1155",
        "none stated",
        "Adamic and Glance 2005, doi:10.1145/1134271.1134277; Girvan and Newman 2002, doi:10.1073/pnas.122653799",
    ),
    "zachary": ("part of nearhop", "facts", "Zachary 1977, doi:10.1086/jar.33.4.3629752"),
    "snap-jl": ("github.com/JuliaGraphs/SNAPDatasets.jl @ dadd14a69b90", "MIT", "McAuley and Leskovec, NIPS 2012"),
    "fastonl": (
        "github.com/baojian/FastONL @ 035cbf7ff3de",
        "MIT",
        "the repository; images: LeCun et al. 1998, doi:10.1109/5.726791",
    ),
    "heterophilous": (
        "github.com/yandex-research/heterophilous-graphs @ a431395582e9",
        "MIT",
        "Platonov et al., ICLR 2023, arXiv:2302.11640",
    ),
    "seal": (
        "github.com/muhanzhang/SEAL @ ca1f019a15fb",
        "none stated",
        "Zhang and Chen, NeurIPS 2018, arXiv:1802.09691",
    ),
    "musae": (
        "github.com/benedekrozemberczki/MUSAE @ 5f901232957b",
        "GPL-3.0 (repository)",
        "Rozemberczki, Allen, Sarkar, 2021, arXiv:1909.13021",
    ),
    "karateclub": (
        "github.com/benedekrozemberczki/karateclub @ cb46a91df8dc",
        "GPL-3.0 (repository)",
        "Rozemberczki, Allen, Sarkar, 2021, arXiv:1909.13021",
    ),
    "facebook100": (
        "github.com/CUAI/Non-Homophily-Large-Scale @ 82f8f05c5c3e",
        "none stated",
        "Traud, Mucha, Porter 2012, arXiv:1102.2166; task: Lim et al., NeurIPS 2021, arXiv:2110.14446",
    ),
    "scholp": (
        "github.com/arbenson/ScHoLP-Data @ c830836d8987",
        "none stated",
        "Benson et al., PNAS 2018, arXiv:1802.06916",
    ),
    "dicted": (
        "github.com/Samer-hue/DicTED @ 2afba8248368",
        "none stated",
        "wikipedia: Kumar et al., KDD 2019, arXiv:1908.01207; uci, enron: Wang et al., ICLR 2021, arXiv:2101.05974",
    ),
    "snap-temporal": (
        "github.com/USFDataVisualization/Persistent-Homology-On-Time-Varying-Graphs (history; SNAP files)",
        "GPL-3.0 (repository)",
        "Paranjape, Benson, Leskovec, WSDM 2017, arXiv:1612.09259",
    ),
    "bitcoin": (
        "github.com/answerIII/GraphTheory2022-2023 (history; KONECT file)",
        "none stated",
        "Kumar et al., ICDM 2016, doi:10.1109/ICDM.2016.0033",
    ),
    "tu": ("github.com/muhanzhang/pytorch_DGCNN @ 50f504131ca6", "MIT", "Morris et al., 2020, arXiv:2007.08663"),
    "mnist": (
        "github.com/karpathy/convnetjs @ 4c3358a315b4; the training files are those of 1998",
        "MIT (repository)",
        "LeCun et al. 1998, doi:10.1109/5.726791",
    ),
    "cann": (
        "github.com/openMVG/SfM_quality_evaluation @ 348a981ef511, features extracted from its photos",
        "none stated",
        "Strecha et al., CVPR 2008, doi:10.1109/CVPR.2008.4587706",
    ),
    "glove": (
        "github.com/rimonim/embedplyr (history)",
        "PDDL (vectors)",
        "Pennington, Socher, Manning, EMNLP 2014, doi:10.3115/v1/D14-1162",
    ),
    "digits": ("scikit-learn", "BSD-3-Clause", "Kaynak 1995; UCI repository, doi:10.24432/C50P49"),
}

# a set: name, kind, nodes, edges, features, classes, undirected or directed, origin, reader, use; then its files
SETS = """
cora|nodes|2708|5278|1433|7|u|planetoid|planetoid:read|GNNs, FastRP, link prediction, local clusters
  planetoid/ind.cora.{x,tx,allx,y,ty,ally,graph,test.index}
citeseer|nodes|3327|4552|3703|6|u|planetoid|planetoid:read|GNNs, FastRP; 15 nodes have no label or features
  planetoid/ind.citeseer.{x,tx,allx,y,ty,ally,graph,test.index}
pubmed|nodes|19717|44324|500|3|u|planetoid|planetoid:read|GNNs; features for 1,060 nodes only
  planetoid/ind.pubmed.{x,tx,y,ty,ally,graph,test.index}
pubmed-temporal|stream|19717|44335|0|3|d|pubmed-temporal|planetoid:read_temporal|temporal splits of a citation graph
  planetoid/ind.pubmed.{x,tx,y,ty,ally,graph,test.index} temporal/pubmed_{edge_time,edge_directed,node_time}.npy
nell|nodes|65755|125775|5414|210|u|nell|planetoid:read|few labels, many classes
  large/nell/ind.nell.0.001.{x.gz,tx.gz,allx.gz,y.gz,ty.gz,graph.gz,test.index.gz}
blogcatalog|labels|10312|333983|0|39|u|fastrp|mat:read_blogcatalog|node embeddings
  embedding/blogcatalog.mat
ppi|labels|3890|37845|0|50|u|prone|text:read_prone|node embeddings
  embedding/PPI.{ungraph,cmty}.gz
wikipedia|labels|4777|92295|0|40|u|prone|text:read_prone|node embeddings
  embedding/wikipedia.{ungraph,cmty}.gz
dblp|nodes|51264|127968|0|60|u|prone|text:read_prone|embeddings and communities at 50k nodes
  embedding/dblp.{ungraph,cmty}.gz
amazon-photo|nodes|7650|119081|745|8|u|gnn-benchmark|npz:read_benchmark|GNNs, local clusters
  gnn_benchmark/amazon_electronics_photo.npz
amazon-computers|nodes|13752|245861|767|10|u|gnn-benchmark|npz:read_benchmark|GNNs, local clusters
  gnn_benchmark/amazon_electronics_computers.npz
coauthor-cs|nodes|18333|81894|6805|15|u|gnn-benchmark|npz:read_benchmark|GNNs
  gnn_benchmark/ms_academic_cs.npz
coauthor-physics|nodes|34493|247962|8415|5|u|gnn-benchmark|npz:read_benchmark|GNNs on a larger graph
  gnn_benchmark/ms_academic_phy.npz
cora-ml|nodes|2995|8158|2879|7|u|gnn-benchmark|npz:read_benchmark|GNNs, local clusters
  gnn_benchmark/cora_ml.npz
email-eu-core|nodes|1005|25571|0|42|d|email|text:read_email|communities
  communities/email-Eu-core.txt communities/email-Eu-core-department-labels.txt
polblogs|nodes|1224|16715|0|2|u|communities|gml:read|communities
  communities/polblogs.gml.gz
football|nodes|115|613|0|12|u|communities|gml:read|communities
  communities/football.gml
karate|nodes|34|78|0|2|u|zachary|builtin:read_karate|examples and tests; needs no file
  -
ego-facebook|links|4039|88234|0|0|u|snap-jl|text:read_jlg|link prediction, communities
  communities/facebook-combined.jlg
ego-twitter|links|81306|1342310|0|0|u|snap-jl|text:read_jlg|sampling and embeddings at scale
  large/ego-twitter-undirected.jlg
mnist-knn|nodes|12000|97089|0|10|u|fastonl|npz:read_neighbor_graph|weighted local clusters
  communities/mnist-tr-nei10.npz
chameleon|nodes|890|8854|2325|5|u|heterophilous|npz:read_heterophilous|GNNs on heterophily
  heterophilous/chameleon_filtered.npz
actor|nodes|7600|26659|932|5|u|heterophilous|npz:read_heterophilous|GNNs on heterophily
  heterophilous/actor.npz
minesweeper|nodes|10000|39402|7|2|u|heterophilous|npz:read_heterophilous|GNNs on heterophily
  heterophilous/minesweeper.npz
usair|links|332|2126|0|0|u|seal|mat:read_links|link prediction
  linkpred/USAir.mat
ns|links|1589|2742|0|0|u|seal|mat:read_links|link prediction
  linkpred/NS.mat
pb|links|1222|16714|0|0|u|seal|mat:read_links|link prediction
  linkpred/PB.mat
yeast|links|2375|11693|0|0|u|seal|mat:read_links|link prediction
  linkpred/Yeast.mat
celegans|links|297|2148|0|0|u|seal|mat:read_links|link prediction
  linkpred/Celegans.mat
power|links|4941|6594|0|0|u|seal|mat:read_links|link prediction
  linkpred/Power.mat
router|links|5022|6258|0|0|u|seal|mat:read_links|link prediction
  linkpred/Router.mat
ecoli|links|1805|14660|0|0|u|seal|mat:read_links|link prediction
  linkpred/Ecoli.mat
facebook-page|nodes|22470|171002|4714|4|u|musae|text:read_musae|GNNs
  large/facebook_page_{edges.csv,target.csv,features.json}.gz
github|nodes|37700|289003|0|2|u|karateclub|text:read_karateclub|embeddings
  large/github_{edges,target}.csv.gz
cornell5|nodes|18660|790777|0|2|u|facebook100|mat:read_facebook100|large non-homophilous graph
  large/Cornell5.mat
johnshopkins55|nodes|5180|186586|0|2|u|facebook100|mat:read_facebook100|non-homophilous graph
  large/JohnsHopkins55.mat
threads-ask-ubuntu|links|125602|187157|0|0|u|scholp|streams:read_threads|weighted graph of 125k nodes, first meetings
  large/threads-ask-ubuntu/threads-ask-ubuntu-{nverts,simplices,times}.txt.gz
threads-math-sx|links|176445|1089307|0|0|u|scholp|streams:read_threads|weighted graph of 1M edges
  large/threads-math-sx/threads-math-sx-{nverts,simplices}.txt.gz
jodie-wikipedia|stream|9227|157474|0|0|d|dicted|streams:read_jodie|temporal graph learning on a bipartite stream
  temporal/wikipedia_time.txt.gz
uci|stream|1899|59835|0|0|d|dicted|streams:read_tgn|temporal graph learning
  temporal/ml_uci.csv.gz
enron|stream|184|125235|0|0|d|dicted|streams:read_tgn|temporal graph learning, repeated contacts
  temporal/ml_enron.csv.gz
collegemsg|stream|1899|59835|0|0|d|snap-temporal|streams:read_snap|temporal graph learning; the events of uci with dates
  temporal/CollegeMsg.txt.gz
sx-mathoverflow|stream|24818|506550|0|0|d|snap-temporal|streams:read_snap|larger link stream
  temporal/sx-mathoverflow.txt.gz
bitcoin-otc|stream|5881|35592|0|0|d|bitcoin|streams:read_konect|signed temporal links
  temporal/bitcoinotc.konect.txt.gz
contact-high-school|stream|327|189928|0|0|u|scholp|streams:read_contacts|repeated contacts
  temporal/contact-high-school/contact-high-school-{nverts,simplices,times}.txt.gz
mutag|graphs|3371|3721|0|2|u|tu|tu:read|graph classification, 188 graphs
  tu/MUTAG.txt.gz
ptc|graphs|8792|8931|0|2|u|tu|tu:read|graph classification, 344 graphs
  tu/PTC.txt.gz
proteins|graphs|43471|81044|0|2|u|tu|tu:read|graph classification, 1,113 graphs
  tu/PROTEINS.txt.gz
nci1|graphs|122747|132753|0|2|u|tu|tu:read|graph classification, 4,110 graphs
  tu/NCI1.txt.gz
enzymes|graphs|19580|37282|0|6|u|tu|tu:read|graph classification, 600 graphs
  tu/ENZYMES.txt.gz
imdb-binary|graphs|19773|96531|0|2|u|tu|tu:read|graph classification, 1,000 graphs
  tu/IMDBBINARY.txt.gz
imdb-multi|graphs|19502|98903|0|3|u|tu|tu:read|graph classification, 1,500 graphs
  tu/IMDBMULTI.txt.gz
mnist|vectors|63000|0|784|10|u|mnist|vectors:read_mnist|neighbour search, kNN graphs
  ann/mnist-{train-images-idx3,train-labels-idx1,t3k-images-idx3,t3k-labels-idx1}-ubyte.gz
sift|vectors|62500|0|128|0|u|cann|npz:read_descriptors|neighbour search in Euclidean distance
  cann/herz-jesus-p25.npz
glove-twitter-25|vectors|13887|0|25|0|u|glove|vectors:read_glove|neighbour search by angle; ids are words
  ann/glove-twitter-25d.txt.gz
digits|vectors|1797|0|64|10|u|digits|vectors:read_digits|examples; comes with scikit-learn
  -
"""
