"""`/api/key`: for programs that were written for TryItOnAI."""
