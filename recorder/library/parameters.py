"""System and channel parameters of the later life of recordings: quota, retention, conversion, archive, anchors."""

from __future__ import annotations

from firmware.mail import check_address, check_server
from firmware.parameters import Parameter

PARAMETERS = (
    Parameter(
        "storage_quota_gib", "system", float, 0.0, "Storage quota", "录音存储配额",
        "What recordings may take in all. 0: all of the disk but the reserve.",
        "录音可占用的空间。0 为除预留外的全部磁盘。",
        "GiB", 0, 1_000_000, effect="at once",
    ),
    Parameter(
        "storage_reserve_gib", "system", float, 2.0, "Disk reserve", "磁盘预留",
        "So much of the disk stays free whatever the quota says.", "无论配额多少,磁盘始终预留的空间。",
        "GiB", 0.0, 10_000,
        effect="at once",
    ),
    Parameter(
        "storage_full_action", "system", str, "overwrite_oldest", "When the quota is reached", "存储满时",
        "overwrite_oldest: delete the oldest recordings that nothing protects. stop_and_alarm: delete nothing, cut no"
        " new recordings, raise the alarm. move_to_archive: delete the oldest that every required archive holds.",
        "overwrite_oldest:删除最旧且未受保护的录音;stop_and_alarm:不删除,停止保存新录音并告警;"
        "move_to_archive:只删除已归档的最旧录音。",
        choices=("overwrite_oldest", "stop_and_alarm", "move_to_archive"), effect="at once",
    ),
    Parameter(
        "retention_days", "system", int, 0, "Retention", "录音保存天数",
        "Recordings older than this are deleted, unless a rule or a hold says otherwise. 0: none is deleted for its"
        " age; what happens when the disk is full is another setting.",
        "超过此天数的录音将被删除,另有规则或保全的除外。0 为不按时间删除;存储满时如何处理另行设置。",
        "d", 0, 36_500, effect="at once",
    ),
    Parameter(
        "convert_after_days", "system", int, 0, "Convert after", "转换格式天数",
        "Recordings older than this are converted to save space. 0: never.",
        "超过此天数的录音转换格式以节省空间。0 为不转换。",
        "d", 0, 36_500, effect="at once",
    ),
    Parameter(
        "convert_format", "system", str, "opus", "Convert to", "转换为",
        "The format of converted recordings.", "转换后的格式。", choices=("opus", "mp3"), effect="at once",
    ),
    Parameter(
        "archive_lag_alarm_h", "system", int, 24, "Archive lag alarm", "归档滞后告警",
        "A recording that is not archived after so long raises the alarm.", "录音超过此时间仍未归档则告警。",
        "h", 1, 8760,
        effect="at once",
    ),
    Parameter(
        "recording_encryption", "system", bool, False, "Encrypt recordings", "录音加密",
        "New recordings are stored encrypted, each with a key of its own.", "新录音加密保存,每个录音使用独立密钥。",
    ),
    Parameter(
        "anchor_webhook", "system", str, "", "Anchor webhook", "存证回调地址",
        "Address that the evidence log's daily head is posted to. Empty: none.", "每日存证摘要发送到的地址。空为不用。",
        effect="at once",
    ),
    Parameter(
        "anchor_tsa", "system", str, "", "Time-stamp authority", "时间戳服务",
        "Address of an RFC 3161 time-stamp authority for the daily head. Empty: none.",
        "为每日存证摘要加盖 RFC 3161 时间戳的服务地址。空为不用。", effect="at once",
    ),
    Parameter(
        "anchor_email", "system", str, "", "Anchor e-mail", "存证邮箱",
        "E-mail address that the daily head is sent to. Empty: none.",
        "每日存证摘要发送到的邮箱。空为不用。", effect="at once",
    ),
    Parameter(
        "smtp_server", "system", str, "", "Mail server", "邮件服务器",
        "HOST:PORT, smtps://HOST or starttls://HOST, of the server that takes the box's mail.",
        "发送邮件的服务器:主机:端口、smtps://主机 或 starttls://主机。", effect="at once", check_text=check_server,
    ),
    Parameter(
        "smtp_user", "system", str, "", "Mail server's user", "邮件服务器用户名",
        "Empty: without logging in. A password goes over an encrypted connection only.",
        "留空则不登录。密码只通过加密连接发送。", effect="at once",
    ),
    Parameter(
        "smtp_password", "system", str, "", "Mail server's password", "邮件服务器密码",
        "Many providers give one for programs.", "许多邮件服务商称之为授权码。", effect="at once", secret=True,
    ),
    Parameter(
        "smtp_sender", "system", str, "tapdeck@localhost", "Mail sender", "发件人",
        "The sender's address of the box's mail.", "录音盒邮件的发件人地址。", effect="at once",
        check_text=check_address,
    ),
    Parameter(
        "retention_days", "channel", int, None, "Retention of this channel", "本通道保存天数",
        "Overrides the system's retention; 0: kept for ever.", "优先于系统的保存天数;0 为永久保存。", "d", 0, 36_500,
        nullable=True, effect="at once",
    ),
)  # fmt: skip
