"""OpenSTA's times of a circuit, through its command language; see its package `opensta` in Debian."""

from __future__ import annotations

import re
import subprocess

import numpy as np

_CORNERS = ("-min -rise", "-min -fall", "-max -rise", "-max -fall")
_NUMBER = r"(-?(?:[\d.]+|INF))"


def times(folder, name, files, constraints, pins, calculator):
    """(arrival, slew, slack) by pin, (pins, 4) each, NaN where OpenSTA has none.

    files: suffix -> text, with "early.lib" and "late.lib". Loads at outputs are added to the wires, because OpenSTA's
    `set_load` replaces a net's wire instead of adding to it. Slacks are without credit for common parts of the clock.
    """
    spef = files["spef"]
    index = {net: code for code, net in re.findall(r"^(\*\d+) (\S+)$", spef, re.M)}
    for port, load in constraints.load.items():
        node = re.escape(index.get(port, port))
        spef, found = re.subn(
            rf"^(\d+ {node})\s+([\d.]+)$", lambda m, load=load: f"{m[1]} {float(m[2]) + load}", spef, flags=re.M
        )
        assert found == 1, port
    for suffix, text in {**files, "spef": spef}.items():
        (folder / suffix).write_text(text)
    commands = [
        f"read_liberty -min {folder}/early.lib",
        f"read_liberty -max {folder}/late.lib",
        f"read_verilog {folder}/v",
        f"link_design {name}",
        f"read_spef {folder}/spef",
        f"set_delay_calculator {calculator}",
        "set sta_crpr_enabled 0",
        "set sta_report_default_digits 6",
        *_constraints(constraints),
    ]
    for pin in pins:
        where = f"[get_ports {{{pin}}}]" if ":" not in pin else f"[get_pins {{{pin.replace(':', '/')}}}]"
        commands += [f'puts "== {pin}"', f"report_arrival {where}", f"report_slews {where}", 'puts "-- slack"']
        commands += [f"report_slack {where}"]
    (folder / "run.tcl").write_text("\n".join([*commands, "exit"]))
    done = subprocess.run(
        ["sta", "-no_splash", "-exit", str(folder / "run.tcl")], capture_output=True, text=True, check=True, timeout=300
    )
    return _parse(done.stdout, pins)


def _constraints(constraints):
    port, period = constraints.clock or ("", 100.0)
    yield f"create_clock -period {period} -name clk" + (f" [get_ports {port}]" if port else "")
    if port:
        yield "set_propagated_clock [all_clocks]"
    for name, corners in constraints.arrival.items():
        for flags, value in zip(_CORNERS, corners, strict=True):
            if name != port:
                yield f"set_input_delay {value} {flags} [get_ports {name}]" + (" -clock clk" if port else "")
    for name, corners in constraints.slew.items():
        for flags, value in zip(_CORNERS, corners, strict=True):
            yield f"set_input_transition {value} {flags} [get_ports {name}]"
    for name, corners in constraints.required.items():
        for corner, (flags, value) in enumerate(zip(_CORNERS, corners, strict=True)):
            delay = (period if corner >= 2 else 0) - value
            yield f"set_output_delay {delay} {flags} [get_ports {name}] -clock clk"


def _parse(text, pins):
    found = {pin: np.full((3, 4), np.nan) for pin in pins}
    for part in text.split("== ")[1:]:
        pin, _, rest = part.partition("\n")
        head, _, tail = rest.partition("-- slack")
        _worst(head, found[pin][0], (np.fmin, np.fmax))
        _worst(tail, found[pin][2], (np.fmin, np.fmin))
        slews = re.search(rf"\^ {_NUMBER}:{_NUMBER} v {_NUMBER}:{_NUMBER}", head)
        if slews:
            found[pin][1] = [float(slews[k]) for k in (1, 3, 2, 4)]
    return np.moveaxis(np.array([found[pin] for pin in pins]), 1, 0)


def _worst(text, out, merge):
    """The worst over all clocks of " r early:late f early:late"."""
    for match in re.finditer(rf"(?m)^ ?(?:\(.*?\))? ?r {_NUMBER}:{_NUMBER} f {_NUMBER}:{_NUMBER}", text):
        values = [float(match[k].replace("INF", "inf")) for k in (1, 3, 2, 4)]
        for corner, value in enumerate(values):
            if np.isfinite(value):
                out[corner] = merge[corner // 2](out[corner], value)
