"""Our HTTP API's own side: request models, problem responses, paging."""
