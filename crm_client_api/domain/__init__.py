"""The rules and records of the office: operators, scope, customers, numbers, pop-ups. Nothing here knows HTTP."""
