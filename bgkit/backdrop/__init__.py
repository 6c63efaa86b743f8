"""What is known of the background of a studio shot, and what follows from it::

    picture ──> surface ──> the empty backdrop, fitted from the border ──┐
                                                                         ├──> B ──> sampling ──> alpha of each pixel
    plate ────> plate ────> the empty scene, in the picture's exposure ──┘
                            and position

``surface`` serves the color keys, light and the report on a shot; ``plate`` whoever compares picture and plate;
``sampling`` mattes against a known background, and has the soft ramp of contrast that keys share; ``window`` is what a
chain looks at where the subject is small; ``checkers`` finds squares painted in place of transparency.
"""

from bgkit.backdrop.surface import Backdrop, estimate_backdrop, estimate_plate

__all__ = ["Backdrop", "estimate_backdrop", "estimate_plate"]
