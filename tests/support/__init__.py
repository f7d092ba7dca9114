"""What the tests share: real servers, real processes, and waiting without sleeping blindly."""
