"""What an ingest took for what: kept with the store, shown by `nearhop info`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

KEY = "ingest_report"


@dataclass(frozen=True)
class IngestReport:
    """What was read, and every decision that the reader took; `str()` is one line.

    Attributes
    ----------
    source, format : str
        Name and form of what was read.
    files : list of dict
        For text files: name, delimiter, header, comment mark, comment and blank lines skipped, and quote, encoding and
        compression where they are not the usual ones. The first 20.
    file_count : int
    roles : dict
        "src", "dst", "weight", "time" -> the column and its kind.
    kept : dict
        Column -> kind, of the columns kept on the edges.
    nodes : dict
        The same of the node table; its ids under "id".
    left_out : dict
        Column -> why it was not kept.
    ids, direction : str
        The rule that was followed, and why.
    notes : list of str
        Everything else that was not as plain as it could be.
    """

    source: str
    format: str
    files: list[dict[str, Any]] = field(default_factory=list)
    file_count: int = 1
    roles: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    ids: str = ""
    direction: str = ""
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Any) -> IngestReport | None:
        """The report in a store's attributes, or None where there is none that can be read."""
        if not isinstance(given, Mapping) or not isinstance(given.get("source"), str):
            return None
        known = {each.name for each in fields(cls)}
        try:
            report = cls(**{name: value for name, value in given.items() if name in known})
            str(report)
        except (TypeError, AttributeError, KeyError, ValueError):
            return None
        return report

    def __str__(self) -> str:
        parts = [f"{self.source} ({self._format()})"]
        parts.append(", ".join(f"{role} = {column}" for role, column in self.roles.items()))
        parts.append(f"ids: {self.ids}" if self.ids else "")
        parts.append(self.direction)
        for word, listed in (("kept", self.kept), ("nodes", self.nodes)):
            parts.append(f"{word}: " + ", ".join(f"{n} ({kind})" for n, kind in listed.items()) if listed else "")
        out = ", ".join(f"{name} ({why})" for name, why in self.left_out.items())
        parts.append(f"left out: {out}" if out else "")
        return "; ".join(part for part in (*parts, *self.notes) if part)

    def _format(self) -> str:
        if not self.files:
            return self.format + (f", {self.file_count} files" if self.file_count > 1 else "")
        alike = {tuple(sorted(self._layout(file).items())): self._layout(file) for file in self.files}
        told = " | ".join(", ".join(layout.values()) for layout in alike.values())
        comments = sum(file.get("comment_lines", 0) for file in self.files)
        blank = sum(file.get("blank_lines", 0) for file in self.files)
        skipped = [
            f"{count} {word} line{'s' * (count > 1)}"
            for count, word in ((comments, "comment"), (blank, "blank"))
            if count
        ]
        count = f"{self.file_count} files: " if self.file_count > 1 else ""
        return f"{count}{told}" + (f", {' and '.join(skipped)} skipped" if skipped else "")

    @staticmethod
    def _layout(file: Mapping[str, Any]) -> dict[str, str]:
        told = {
            "delimiter": f"delimiter {file['delimiter']}",
            "header": "with header" if file["header"] else "no header",
        }
        for name in ("comment", "encoding", "packed"):
            if file.get(name):
                told[name] = f"{name} {file[name]}"
        if "quote" in file:
            told["quote"] = f"quote {file['quote']}" if file["quote"] else "quotes are text"
        return told
