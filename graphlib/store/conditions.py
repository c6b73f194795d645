"""What an SQL condition may say: one scalar expression of columns, constants and functions that only compute."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..errors import InvalidInput, NotFound

AMBIGUOUS = ""
_REFUSED = {
    "SUBQUERY": "subqueries", "WINDOW": "window functions", "STAR": "*", "PARAMETER": "parameters",
    "POSITIONAL_REFERENCE": "positions of columns",
}  # fmt: skip
_FUNCTIONS = """
    + - * / // % ** ^ & | ~ << >> || ~~ !~~ ~~* !~~* ~~~ ^@ @
    abs ceil ceiling floor round round_even trunc sign signbit even sqrt cbrt exp ln log log2 log10 pow power mod fmod
    add subtract multiply divide greatest least isnan isinf isfinite pi sin cos tan cot asin acos atan atan2 sinh cosh
    tanh degrees radians gcd lcm xor bit_count
    lower lcase upper ucase length len strlen char_length character_length octet_length contains starts_with ends_with
    prefix suffix instr strpos position like_escape not_like_escape ilike_escape not_ilike_escape regexp_matches
    regexp_full_match regexp_extract substr substring left right trim ltrim rtrim reverse concat concat_ws ascii ord
    unicode chr translate strip_accents nfc_normalize split_part string_split str_split split hamming mismatches
    jaccard md5 sha256 hash
    date_part datepart date_trunc datetrunc date_diff datediff date_sub datesub year month day hour minute second
    millisecond microsecond nanosecond quarter week weekofyear weekday dayofweek dayofmonth dayofyear isodow isoyear
    yearweek decade century millennium epoch epoch_ms epoch_us epoch_ns make_date make_time make_timestamp strftime
    strptime try_strptime dayname monthname last_day julian time_bucket to_years to_quarters to_months to_weeks to_days
    to_hours to_minutes to_seconds to_milliseconds to_microseconds
    nullif if ifnull coalesce
    list_value list_pack list_contains list_has list_has_any list_has_all list_position list_sum list_avg list_min
    list_max list_count list_extract list_element array_extract array_length array_contains list_unique list_distinct
    list_sort list_transform list_apply list_filter
"""
_ALLOWED = frozenset(_FUNCTIONS.split())
_CONCATENATE = frozenset(("||", "concat", "concat_ws"))
_MOST_LAMBDAS = 2


def shown(sql: str) -> str:
    """A condition as messages quote it: the beginning of a long one."""
    return repr(sql if len(sql) <= 200 else sql[:200] + " ...")


def parse(connection: Any, sql: str) -> dict[str, Any]:
    """The syntax tree of `sql`, if it is one scalar expression of what is allowed, and nothing else."""
    wrapped = "SELECT (\n" + sql + "\n)"
    (text,) = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [wrapped]).fetchall()[0]
    try:
        tree = json.loads(text)
    except RecursionError as error:
        raise InvalidInput(f"where: {shown(sql)} is nested too deeply; write it as a shorter condition") from error
    if tree.get("error"):
        raise InvalidInput(f"where: {shown(sql)} is not an SQL condition: {tree.get('error_message')}")
    node = tree["statements"][0]["node"]
    alone = (
        len(tree["statements"]) == 1
        and node.get("type") == "SELECT_NODE"
        and len(node["select_list"]) == 1
        and node["from_table"]["type"] == "EMPTY"
        and not any(node.get(part) for part in ("where_clause", "modifiers", "group_expressions", "having", "qualify"))
        and not node["cte_map"]["map"]
        and node.get("sample") is None
    )
    if not alone:
        raise InvalidInput(f"where: {shown(sql)} must be one condition such as \"year >= 2010 AND country = 'FR'\"")
    expression: dict[str, Any] = node["select_list"][0]
    _check(sql, expression)
    return expression


def _check(sql: str, expression: dict[str, Any]) -> None:
    """Refuse what reads more than columns, and what makes values whose size the text does not bound."""
    lambdas, functions = [], set()
    for part in parts(expression):
        kind = str(part.get("class"))
        if kind in _REFUSED:
            raise InvalidInput(
                f"where: {shown(sql)} holds {_REFUSED[kind]}; only columns, constants and scalar functions are allowed"
            )
        if kind == "FUNCTION":
            name = str(part.get("function_name")).lower()
            if name not in _ALLOWED or part.get("schema") or part.get("catalog"):
                raise InvalidInput(
                    f"where: {shown(sql)} calls {name}, which is not a function that only compares or computes (no "
                    "aggregates, UNNEST, settings, files, clocks, random numbers, edit distances, texts or lists of "
                    "any length)"
                )
            functions.add(name)
        elif kind == "CAST" and "array" in map(_type_name, parts(part.get("type_expr", part.get("cast_type")))):
            raise InvalidInput(f"where: {shown(sql)} casts to an array; columns and results are single values")
        elif kind == "LAMBDA":
            lambdas.append(part)
    nested = any(p.get("class") == "LAMBDA" for made in lambdas for p in parts(list(made.values())))
    if nested or len(lambdas) > _MOST_LAMBDAS or (lambdas and functions & _CONCATENATE):
        raise InvalidInput(
            f"where: {shown(sql)}: a condition takes at most {_MOST_LAMBDAS} lambdas, none within another, and joins "
            "no texts beside them"
        )


def _type_name(part: dict[str, Any]) -> str:
    return str(part.get("type_name") or part.get("id")).lower()


def parts(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of a syntax tree."""
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def names_in(expression: dict[str, Any], available: dict[str, str]) -> list[str]:
    """The columns that an expression reads; `available` has them by their lower case."""
    found = []
    bound = {str(name).lower() for part in parts(expression) for name in _lambda_names(part)}
    for part in parts(expression):
        if part.get("class") != "COLUMN_REF":
            continue
        words = [str(word).lower() for word in part["column_names"]]
        name = words[1] if len(words) > 1 and words[0] == "nodes" else words[0]
        if available.get(name) == AMBIGUOUS:
            raise InvalidInput(f"where: several columns are called {name!r} but for letters' case, which SQL ignores")
        if name in available:
            found.append(available[name])
        elif name not in bound:
            raise NotFound(
                f"where: there is no one-dimensional node column {words[-1]!r}; columns: {listed(available)} "
                "(texts go in single quotes)"
            )
    return sorted(set(found))


def _lambda_names(part: dict[str, Any]) -> list[str]:
    if part.get("class") != "LAMBDA":
        return []
    return [str(name) for ref in parts(part.get("lhs")) for name in ref.get("column_names", [])]


def listed(available: dict[str, str]) -> str:
    """Column names for a message."""
    return ", ".join(sorted(name for name in available.values() if name != AMBIGUOUS))
