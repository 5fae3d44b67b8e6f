"""From an event to the clients that it concerns: streams, pop-up cards, the live board."""
