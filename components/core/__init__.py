"""Pure code (stdlib, numpy, scipy): boxes, frames, scenes, matching, the completion grammar."""
