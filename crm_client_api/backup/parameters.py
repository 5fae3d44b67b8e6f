"""System parameters of backups."""

from __future__ import annotations

from firmware.errors import BadInput, ConfigError
from firmware.parameters import Parameter

PLACE, HOUR, RECORDINGS = "backup_place", "backup_hour", "backup_recordings"
DAILY, WEEKLY, MONTHLY, OVERDUE_DAYS = "backup_daily", "backup_weekly", "backup_monthly", "backup_overdue_days"


def _address(text: str) -> None:
    from crm_client_api.backup.addresses import check_address  # parameters are declared in every daemon

    if text:
        try:
            check_address(text)
        except BadInput as error:
            raise ConfigError(str(error)) from error


BACKUP_PARAMETERS = (
    Parameter(
        PLACE, "system", str, "", "Backup: where to", "备份位置",
        "file:///mnt/second?mount=1 (second disk, NFS or SMB), sftp://user@host/path, s3://bucket/prefix?endpoint=…,"
        " usb: and the id of a stick; empty: no backup by itself.",
        "file:///mnt/second?mount=1(第二块硬盘、NFS 或 SMB)、sftp://用户@主机/路径、s3://桶/前缀?endpoint=…,"
        "或 usb: 加 U 盘编号;留空则不自动备份。", effect="at once", check_text=_address,
    ),
    Parameter(
        HOUR, "system", int, 2, "Backup: hour of the night", "备份时间",
        "The backup is made when this hour begins; one that failed is tried again every hour.",
        "每天到此钟点自动备份;失败后每小时重试。", "h", 0, 23, effect="at once",
    ),
    Parameter(
        RECORDINGS, "system", bool, False, "Backup: recordings too", "备份包含录音",
        "The audio of recordings goes along; each is written once, and lies beside the backups.",
        "录音文件一并备份;每条录音只写一次,存放在备份旁边。", effect="at once",
    ),
    Parameter(
        DAILY, "system", int, 7, "Backup: days kept", "保留每日备份",
        "The newest backup of each of so many days is kept.", "保留最近若干天每天最新的一份备份。", "", 1, 366,
        effect="at once",
    ),
    Parameter(
        WEEKLY, "system", int, 4, "Backup: weeks kept", "保留每周备份",
        "The newest backup of each of so many weeks is kept.", "保留最近若干周每周最新的一份备份。", "", 0, 520,
        effect="at once",
    ),
    Parameter(
        MONTHLY, "system", int, 12, "Backup: months kept", "保留每月备份",
        "The newest backup of each of so many months is kept.", "保留最近若干月每月最新的一份备份。", "", 0, 240,
        effect="at once",
    ),
    Parameter(
        OVERDUE_DAYS, "system", int, 3, "Backup: alarm after", "备份逾期告警",
        "An alarm stands while the last good backup is older than this, once a place is set; 0: never.",
        "设置了备份位置后,最近一次成功备份早于此天数即告警;0 为不告警。", "d", 0, 366, effect="at once",
    ),
)  # fmt: skip
