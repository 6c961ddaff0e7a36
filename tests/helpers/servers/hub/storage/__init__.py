"""What the fake Hub stores: contents, repositories and Xet chunks, in a folder."""
