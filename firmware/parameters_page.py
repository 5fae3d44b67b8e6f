"""The parameter table as a page for people."""

from __future__ import annotations

from firmware.parameters import Parameter, parameter_table

_TITLES = {
    "channel": "Channel parameters 通道参数",
    "system": "System parameters 系统参数",
    "card": "Card parameters 线卡参数",
}


def parameters_page() -> str:
    """Every parameter in Markdown, scope by scope; ``docs/parameters.md`` is this text."""
    lines = ["# Parameters 参数", "", "Written by `tapdeck parameters`; declared beside the code that reads them."]
    table = parameter_table()
    for scope, title in _TITLES.items():
        own = [parameter for (where, _), parameter in table.items() if where == scope]
        if own:
            lines += ["", f"## {title}", "", "| key | name | value | default | takes effect | meaning |"]
            lines += ["| --- | --- | --- | --- | --- | --- |", *(_row(parameter) for parameter in own)]
    return "\n".join(lines) + "\n"


def _row(parameter: Parameter) -> str:
    cells = (
        f"`{parameter.key}`",
        f"{parameter.en} {parameter.zh}",
        _values(parameter),
        _text(parameter.default),
        parameter.effect,
        f"{parameter.help_en} {parameter.help_zh}",
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _values(parameter: Parameter) -> str:
    if parameter.choices:
        said = ", ".join(f"`{choice}`" for choice in parameter.choices)
    elif parameter.minimum is not None or parameter.maximum is not None:
        low = "" if parameter.minimum is None else f"{parameter.minimum:g}"
        high = "" if parameter.maximum is None else f"{parameter.maximum:g}"
        said = f"{low} … {high} {parameter.unit}".strip()
    else:
        said = {bool: "yes or no", int: "whole number", float: "number", str: "text"}[parameter.type]
    return f"{said} or none" if parameter.nullable else said


def _text(value: object) -> str:
    if value is None or value == "":
        return "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
