"""From the rows of a file to records: judged first, staged beside the store, then taking effect as one."""
