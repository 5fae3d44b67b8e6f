"""Floor 4: operators, customers, pop-up rules, HTTP API and push."""
