"""The images of operator and launcher, and the Helm release that runs them: `python -m hack.image build|load|install`.

What tests, demo and figures use is named here; why it is done this way: docs/decisions/0007-chart-and-image.md.
"""

from hack.image.build import Images, images
from hack.image.release import ensure_release, scale_operator

__all__ = ["Images", "ensure_release", "images", "scale_operator"]
