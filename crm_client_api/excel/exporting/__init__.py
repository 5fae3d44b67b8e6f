"""From what is in somebody's scope to a workbook that can be imported again."""
