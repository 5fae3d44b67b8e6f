"""System parameters of what other programs get from the box."""

from __future__ import annotations

import re

from crm_client_api.domain.addresses import parse_address, parse_networks
from crm_client_api.integrations.ncid.desks import parse_desks
from crm_client_api.integrations.url_pop import check_template
from firmware.errors import ConfigError
from firmware.mail import check_address
from firmware.parameters import Parameter


def _check_address(text: str) -> None:
    if parse_address(text) is None:
        raise ConfigError("an IPv4 or IPv6 address of the box, e.g. 0.0.0.0")


def _check_host(text: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,253}", text):
        raise ConfigError("the name or address of a host, without a port")


def _check_topic(text: str) -> None:
    if not re.fullmatch(r"[^\x00-\x1f+#]{1,200}", text) or not text.strip("/"):
        raise ConfigError("a topic without the wildcards + and #")


def _check_mail_addresses(text: str) -> None:
    for one in filter(None, (part.strip() for part in text.split(","))):
        if not re.fullmatch(r"[^@\s,<>\"]{1,64}@[^@\s,<>\"]{1,255}", one):
            raise ConfigError(f"{one[:60]!r} is no address of mail; several stand with commas between them")
        check_address(one)


INTEGRATION_PARAMETERS = (
    Parameter(
        "alarm_email", "system", str, "", "Mail alarms to", "告警邮件收件人",
        "Addresses, with commas between them, to which alarms are mailed by smtp_server. Empty: none.",
        "告警邮件的收件地址,多个用逗号分隔,经 smtp_server 发送;留空则不发。",
        effect="at once", check_text=_check_mail_addresses,
    ),
    Parameter(
        "ncid_enabled", "system", bool, False, "NCID server", "NCID 服务",
        "Caller-ID clients of the NCID project get the pop-ups of their operator.",
        "NCID 来电显示客户端可收到所属操作员的来电弹出。", effect="at once",
    ),
    Parameter(
        "ncid_address", "system", str, "0.0.0.0", "NCID address", "NCID 监听地址",
        "The box's address on which NCID clients are served; 0.0.0.0: on all.",
        "为 NCID 客户端提供服务的本机地址;0.0.0.0 为全部地址。", effect="at once", check_text=_check_address,
    ),
    Parameter(
        "ncid_port", "system", int, 3333, "NCID port", "NCID 端口",
        "The TCP port of the NCID server.", "NCID 服务的 TCP 端口。", "", 1, 65535, effect="at once",
    ),
    Parameter(
        "ncid_desks", "system", str, "", "NCID desks", "NCID 允许的地址",
        "Addresses of clients without a token, each with its operator: 192.168.1.20=1001, 10.0.0.0/24=1000.",
        "无令牌的客户端地址或网段及其操作员工号,例如 192.168.1.20=1001, 10.0.0.0/24=1000。",
        effect="at once", check_text=parse_desks,
    ),
    Parameter(
        "url_pop", "system", str, "", "Pop-up address", "弹出网址",
        "A web address that clients open with a pop-up; {number}, {e164}, {channel}, {direction}, {call_id} and"
        " {customer_id} are filled in. Empty: none.",
        "弹出时客户端打开的网址,可含 {number} {e164} {channel} {direction} {call_id} {customer_id};留空则不打开。",
        effect="at once", check_text=check_template,
    ),
    Parameter(
        "webhooks_to_own_network", "system", bool, False, "Webhooks to the box itself", "允许 Webhook 发往本机",
        "Webhooks may be sent to the box itself and to link-local addresses.",
        "允许把 Webhook 发往本机和链路本地地址。", effect="at once",
    ),
    Parameter(
        "metrics_addresses", "system", str, "127.0.0.0/8, ::1", "Metrics readers", "指标读取地址",
        "Addresses or networks that may read /metrics without logging in.", "可免登录读取 /metrics 的地址或网段。",
        effect="at once", check_text=parse_networks,
    ),
    Parameter(
        "mqtt_enabled", "system", bool, False, "MQTT publisher", "MQTT 发布",
        "Calls and line cards are published to an MQTT broker.", "把通话和线卡事件发布到 MQTT 服务器。",
        effect="at once",
    ),
    Parameter(
        "mqtt_host", "system", str, "localhost", "MQTT broker", "MQTT 服务器",
        "Name or address of the broker.", "MQTT 服务器的名称或地址。", effect="at once", check_text=_check_host,
    ),
    Parameter(
        "mqtt_port", "system", int, 1883, "MQTT port", "MQTT 端口",
        "1883 without TLS, usually 8883 with it.", "不加密通常为 1883,TLS 通常为 8883。", "", 1, 65535,
        effect="at once",
    ),
    Parameter(
        "mqtt_tls", "system", bool, False, "MQTT over TLS", "MQTT 使用 TLS",
        "The connection is encrypted and the broker's certificate checked.", "加密连接并校验服务器证书。",
        effect="at once",
    ),
    Parameter(
        "mqtt_ca_file", "system", str, "", "MQTT certificate authority", "MQTT 证书颁发机构",
        "File on the box with the authority that signed the broker's certificate; empty: those that the box trusts.",
        "签发服务器证书的机构证书文件;留空使用系统信任的机构。", effect="at once",
    ),
    Parameter(
        "mqtt_user", "system", str, "", "MQTT user", "MQTT 用户名", "Empty: none.", "留空则不使用。", effect="at once",
    ),
    Parameter(
        "mqtt_password", "system", str, "", "MQTT password", "MQTT 密码", "Empty: none.", "留空则不使用。",
        effect="at once", secret=True,
    ),
    Parameter(
        "mqtt_topic", "system", str, "tapdeck", "MQTT topic", "MQTT 主题前缀",
        "What every topic begins with.", "所有主题的前缀。", effect="at once", check_text=_check_topic,
    ),
    Parameter(
        "announce_enabled", "system", bool, True, "Announcement in the network", "局域网发现",
        "The box tells the local network by mDNS where its web page is.", "通过 mDNS 在局域网中通告本机网页地址。",
        effect="at once",
    ),
    Parameter(
        "announce_port", "system", int, 0, "Announced port", "通告端口",
        "The port of the web page that is announced; 0: that of the API, when it can be reached from the network.",
        "所通告的网页端口;0 为 API 自身的端口(须可从网络访问)。", "", 0, 65535, effect="at once",
    ),
)  # fmt: skip
