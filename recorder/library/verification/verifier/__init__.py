"""What anybody can check recordings with: one Python file and one web page, neither of which needs the box."""
