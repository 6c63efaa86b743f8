WIDEST: int
CHOSEN: int
