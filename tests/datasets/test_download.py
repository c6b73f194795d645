"""Downloads from a server on this machine: resumed, bounded, checked, retried."""

from __future__ import annotations

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nearhop import datasets
from nearhop.datasets import files
from nearhop.datasets.download import fetch
from nearhop.graphlib.errors import DownloadError

CONTENT = bytes(i * 7 % 251 for i in range(300_000))


class Server:
    """Serves CONTENT; `cut_at` ends answers early, `fail` answers errors first, `ranges` obeys Range."""

    def __init__(self):
        self.cut_at, self.fail, self.ranges, self.requests, self.content = [], [], True, [], CONTENT
        self.declare = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.host = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.url = f"{self.host}/file.bin"

    def answer(self, request):
        self.requests.append(request.headers.get("Range"))
        if self.fail:
            request.send_error(self.fail.pop(0))
            return
        body, start = self.content, 0
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range") or "")
        if asked and self.ranges:
            start = int(asked[1])
            if start >= len(body):
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{len(body)}")
                request.end_headers()
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            request.send_response(200)
        body = body[start:]
        if self.declare:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: self.cut_at.pop(0)] if self.cut_at else body)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    started = Server()
    yield started
    started.server.shutdown()
    started.server.server_close()


def accept(path):
    if path.read_bytes() != CONTENT:
        raise DownloadError("wrong content")


def get(server, target, **options):
    defaults: dict = {"size_cap": 10**6, "check": accept, "timeout_s": 5, "pause_s": 0.001}
    fetch(server.url, target, **defaults | options)


def test_a_file_arrives_whole_and_quietly(server, tmp_path, capfd):
    target = tmp_path / "deep" / "file.bin"
    get(server, target)
    assert target.read_bytes() == CONTENT
    assert not list(tmp_path.rglob("*.part"))
    assert capfd.readouterr() == ("", "")
    get(server, target)
    assert len(server.requests) == 1  # it is there already


def test_a_cut_is_resumed_where_it_stopped(server, tmp_path):
    server.cut_at = [100_000, 50_000]
    get(server, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.requests == [None, "bytes=100000-", "bytes=150000-"]


def test_a_later_call_resumes_what_an_earlier_one_left(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:12345])
    get(server, tmp_path / "file.bin")
    assert server.requests == ["bytes=12345-"]


def test_a_complete_part_is_accepted(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    get(server, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_part_that_is_too_long_is_started_again(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT + b"more")
    get(server, tmp_path / "file.bin")
    assert server.requests == ["bytes=300004-", None]


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.ranges, server.cut_at = False, [1000]
    get(server, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_passing_errors_are_retried_and_lasting_ones_are_not(server, tmp_path):
    server.fail = [503, 429]
    get(server, tmp_path / "a.bin")
    server.fail, server.requests = [404], []
    with pytest.raises(DownloadError, match=r"file.bin answered 404 Not Found"):
        get(server, tmp_path / "b.bin")
    assert len(server.requests) == 1


def test_it_gives_up_when_nothing_more_comes(server, tmp_path):
    server.fail = [503] * 10
    with pytest.raises(DownloadError, match=r"could not be downloaded: it answered 503 .* \(tried 3 times\)"):
        get(server, tmp_path / "file.bin", attempts=3)
    assert len(server.requests) == 3


def test_wrong_content_is_not_kept(server, tmp_path):
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(DownloadError, match="did not deliver the expected file, and nothing was kept: wrong content"):
        get(server, tmp_path / "file.bin")
    assert not list(tmp_path.glob("file.bin*[!k]"))


@pytest.mark.parametrize("declare", [True, False])
def test_too_many_bytes_are_refused(server, tmp_path, declare):
    server.declare = declare
    with pytest.raises(DownloadError, match="more than the 1,000"):
        get(server, tmp_path / "file.bin", size_cap=1000)
    assert not (tmp_path / "file.bin").exists()
    assert not (tmp_path / "file.bin.part").exists()


def test_nobody_there(tmp_path):
    with pytest.raises(DownloadError, match=r"could not be downloaded: .*refused"):
        fetch("http://127.0.0.1:9/x", tmp_path / "x", size_cap=10, check=accept, attempts=2, pause_s=0.001)


def test_two_at_once_download_once(server, tmp_path):
    jobs = [threading.Thread(target=get, args=(server, tmp_path / "file.bin")) for _ in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert len(server.requests) == 1
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_bar_on_a_terminal(server, tmp_path, monkeypatch):
    import io

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    get(server, tmp_path / "file.bin")
    assert "file.bin" in terminal.getvalue()


def test_load_downloads_into_the_cache(server, tmp_path, monkeypatch):
    """The whole way: a missing file is fetched, checked against its digest, and read from the cache the second time."""
    gml = b'graph [ node [ id 5 label "a" value 1 ] node [ id 6 label "b" value 4 ] edge [ source 5 target 6 ] ]'
    path = "communities/football.gml"
    small = files.DataFile(path, len(gml), hashlib.sha256(gml).hexdigest())
    monkeypatch.setattr(files, "HOST", server.host)
    monkeypatch.setitem(files.table(), path, small)
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("NEARHOP_DATA", str(tmp_path / "empty"))
    monkeypatch.setenv("NEARHOP_CACHE", str(tmp_path / "cache"))
    server.content = gml
    for _ in range(2):
        store = datasets.load("football")
        assert (store.num_nodes, store.num_edges, store.nodes["y"].tolist()) == (2, 1, [0, 1])
    assert len(server.requests) == 1
    assert (tmp_path / "cache" / path).read_bytes() == gml

    (tmp_path / "cache" / path).unlink()
    server.content = gml + b" "
    with pytest.raises(DownloadError, match=r"'football' needs the file communities/football.gml.*sha256"):
        datasets.load("football")
    assert not (tmp_path / "cache" / path).exists()


def test_the_pause_doubles(server, tmp_path, monkeypatch):
    pauses: list = []
    monkeypatch.setattr("time.sleep", pauses.append)
    server.fail = [503] * 4
    with pytest.raises(DownloadError):
        get(server, tmp_path / "file.bin", pause_s=1.0)
    assert pauses == [1.0, 2.0, 4.0]
