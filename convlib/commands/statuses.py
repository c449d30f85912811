"""Exit statuses of the command line; its help explains them."""

AGREE, DISAGREE, REFUSED, INTERRUPTED, UNREAD = 0, 1, 2, 130, 141
