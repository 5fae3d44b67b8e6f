"""Long work for people – imports, exports, clearing – in a process of its own that never slows the API."""
