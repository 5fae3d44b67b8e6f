"""Hand-over 移交: customers, communication records, tasks, call-backs and drafts get another owner."""
