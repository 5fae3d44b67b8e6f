"""Take it home: recordings with lists, a page that plays them and their evidence, on a stick that opens anywhere."""
