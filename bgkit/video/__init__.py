"""Moving pictures: :func:`bgkit.video.removal.remove_video`, what ``bgkit video`` does."""
