"""Where files are looked for, and what is said when they are missing or wrong."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from nearhop import datasets
from nearhop.datasets import files, folder
from nearhop.graphlib.errors import DownloadError, StoreCorrupt, StoreMissing

PATH = "communities/polblogs.gml.gz"
GML = b'graph [ node [ id 0 label "a" value 1 ] node [ id 1 label "b" value 0 ] edge [ source 0 target 1 ] ]'


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Empty folders root, data and cache; polblogs is a tiny file that has no address."""
    known = files.DataFile(PATH, len(GML), hashlib.sha256(GML).hexdigest())
    monkeypatch.setitem(files.table(), PATH, known)
    monkeypatch.setattr(files, "_PUBLISHED", ())
    for name in ("root", "data", "cache"):
        (tmp_path / name / "communities").mkdir(parents=True)
    monkeypatch.setenv("NEARHOP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NEARHOP_CACHE", str(tmp_path / "cache"))
    return tmp_path


def put(place: Path, content: bytes = GML, name: str = PATH) -> Path:
    path = place / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("place", ["data", "cache"])
def test_environment_and_cache(places, place):
    put(places / place)
    assert datasets.load("polblogs").num_edges == 1


def test_root_goes_before_the_environment(places):
    put(places / "root")
    put(places / "data", b"something else")
    assert datasets.load("polblogs", places / "root").num_edges == 1
    assert datasets.load("polblogs", root=str(places / "root")).num_edges == 1
    with pytest.raises(DownloadError, match="is not the expected file"):
        datasets.load("polblogs")


@pytest.mark.parametrize("name", [PATH, PATH.removesuffix(".gz")])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda b: gzip.compress(b[:50]) + gzip.compress(b[50:])])
def test_packed_or_not(places, name, pack):
    put(places / "data", pack(GML), name)
    assert datasets.load("polblogs").num_nodes == 2


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (GML[:-1], "its content has 99 bytes and sha256 .* expected 100 bytes"),
        (GML[:-1] + b"}", "sha256"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "it is a git-lfs pointer"),
        (b"<!DOCTYPE html>\n<html><body>404", "it is a web page"),
        (b"", "has 0 bytes"),
        (gzip.compress(GML, mtime=0)[:-20], "sha256"),
        (b"\x1f\x8b" + GML, "damaged gzip"),
        (bytes(200_000), "has 200,000 bytes but at most"),
        (gzip.compress(bytes(10_000_000), mtime=0), "its content has"),
    ],
)
def test_wrong_files_are_refused(places, content, match):
    path = put(places / "data", content)
    with pytest.raises(DownloadError, match=match) as caught:
        datasets.load("polblogs")
    assert str(path) in str(caught.value)


def test_a_packed_bomb_is_not_unpacked(places, monkeypatch):
    put(places / "data", gzip.compress(bytes(50_000_000)))
    unpacked = []
    original = folder._unpack

    def watched(*arguments):
        unpacked.append(original(*arguments))
        return unpacked[-1]

    monkeypatch.setattr(folder, "_unpack", watched)
    with pytest.raises(DownloadError):
        datasets.load("polblogs")
    assert len(unpacked[0]) <= len(GML) + 1


def test_a_missing_file_is_named_with_its_source_and_place(places):
    with pytest.raises(DownloadError) as caught:
        datasets.load("polblogs")
    message = str(caught.value)
    for part in (
        "'polblogs'",
        PATH,
        "github.com/zghh/community-detection @ b7a47bfd1155",
        str(places / "cache" / PATH),
        str(places / "data"),
        "NEARHOP_DATA",
        hashlib.sha256(GML).hexdigest(),
    ):
        assert part in message


def test_a_folder_that_is_none(places, monkeypatch):
    with pytest.raises(StoreMissing, match=r"root is .*nowhere.* not a folder"):
        datasets.load("polblogs", places / "nowhere")
    monkeypatch.setenv("NEARHOP_DATA", str(places / "nothing"))
    with pytest.raises(StoreMissing, match=r"NEARHOP_DATA is .*nothing"):
        datasets.load("polblogs")


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("NEARHOP_CACHE", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert folder.cache_folder() == tmp_path / "nearhop"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder.cache_folder() == tmp_path / ".cache" / "nearhop"
    monkeypatch.setattr("sys.platform", "darwin")
    assert folder.cache_folder() == tmp_path / "Library" / "Caches" / "nearhop"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert folder.cache_folder() == tmp_path / "local" / "nearhop" / "Cache"


def test_nothing_needs_a_file_for_karate(places):
    assert datasets.load("karate").num_edges == 78
    assert not any(path.is_file() for path in places.rglob("*"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mutag", b"1\n3 0\n0 1 1\n"),
        ("mutag", b"1\n2 0\n0 1 1\n0 1 5\n"),
        ("mutag", b"1\n2 0\n0 1 x\n"),
        ("mutag", b"1\n1 0\n0 0\n9\n"),
        ("ego-twitter", b"3,2,u,graph\n1,2\n"),
        ("ego-twitter", b"3,1,d,graph\n1,2\n"),
        ("ego-twitter", b"3,1,u,graph\n1;2\n"),
        ("collegemsg", b"1 2 x\n"),
        ("uci", b",u,i,ts,label,idx\n0,1,2\n"),
        ("glove-twitter-25", b"a 1 2\nb 1\n"),
        ("glove-twitter-25", b"a 1 2\nb 1 x\n"),
        ("football", b"not gml"),
        ("football", b"graph [ node [ id 0 value 1 ] edge [ source 0 target 7 ] ]"),
        ("football", b"graph [ node [ id 0 ] ]"),
        ("usair", b"not a matrix"),
        ("cora-ml", b"not an archive"),
        ("ppi", b"0 1 2\n"),
    ],
)
def test_parsers_name_the_file_they_cannot_read(name, content):
    from importlib import import_module

    card = datasets.info(name)
    module, _, function = card.reader.partition(":")
    read = getattr(import_module(f"nearhop.datasets.{module}"), function)

    class Same(folder.Files):
        def __init__(self):
            pass

        def read(self, path):
            return content

    with pytest.raises(StoreCorrupt, match=card.files[0].partition(".")[0]):
        read(Same(), card)


@pytest.mark.parametrize("data", [b"", b"\0\0\x08\x03", b"\0\0\x0d\x01\0\0\0\x01abcd", b"\0\0\x08\x01\0\0\0\x05abc"])
def test_bad_idx(data):
    from nearhop.datasets.vectors import read_idx

    with pytest.raises(StoreCorrupt, match=r"images\.idx"):
        read_idx(data, name="images.idx")
