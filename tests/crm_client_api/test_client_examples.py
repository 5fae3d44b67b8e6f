"""The examples of docs/integrations.md run as they stand there."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from crm_office import ROOT, Exchange, hire

from crm_client_api.domain.permissions import ALL_PERMISSIONS
from crm_client_api.domain.tokens import WantedToken, create_token
from firmware.clock import now_ms
from firmware.parameters import set_value

PAGE = Path(__file__).parents[2] / "docs" / "integrations.md"


def keep_calling(exchange: Exchange, over: threading.Event) -> None:
    while not over.wait(0.3):
        exchange.end(exchange.call(1, "13812345678"))


def test_they_run(crm, exchange, server, capsys):
    operator = hire(crm, "1", "super")
    token, _ = create_token(crm, operator, WantedToken("examples", ALL_PERMISSIONS), ROOT, now_ms())
    set_value(crm, "system", "url_pop", "https://crm.example/?tel={number}")
    exchange.wire(1)
    exchange.end(exchange.call(1, "13812345678"))
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(examples) == 2
    over = threading.Event()
    callers = threading.Thread(target=keep_calling, args=(exchange, over))
    callers.start()
    for code in examples:
        exec(compile(code, str(PAGE), "exec"), {"url": server.url, "token": token})
    over.set()
    callers.join()
    said = capsys.readouterr().out
    assert "missed" in said
    assert "not_found" in said
    assert "13812345678 ['王伟明'] https://crm.example/?tel=13812345678" in said
