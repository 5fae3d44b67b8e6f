"""Copies of recordings elsewhere: a second disk, a mounted share, an SFTP server, S3-compatible storage."""
