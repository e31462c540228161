"""What people say of a line's events: kept beside its store, marked, exchanged, looked through."""

from edge.review.catalogue import Catalogue, Order, Sought
from edge.review.coming_back import Source, TakenIn, take_in
from edge.review.estimate import MissRate, miss_rate
from edge.review.label_studio import write_label_studio
from edge.review.marks import check_marks, png_size
from edge.review.review import Call, Mark, Review
from edge.review.review_file import REVIEWS, add_reviews, latest_reviews, reviews_of
from edge.review.second_looks import SecondLook, add_second_looks, second_looks
from edge.review.truth import corrected, true_pieces

__all__ = [
    "REVIEWS",
    "Call",
    "Catalogue",
    "Mark",
    "MissRate",
    "Order",
    "Review",
    "SecondLook",
    "Sought",
    "Source",
    "TakenIn",
    "add_reviews",
    "add_second_looks",
    "check_marks",
    "corrected",
    "latest_reviews",
    "miss_rate",
    "png_size",
    "reviews_of",
    "second_looks",
    "take_in",
    "true_pieces",
    "write_label_studio",
]
