"""Other programs: NCID clients, webhooks, MQTT, addresses that open with a pop-up, the announcement by mDNS."""
