"""Events for other programs over HTTP: signed, tried again until they are taken, in order."""
