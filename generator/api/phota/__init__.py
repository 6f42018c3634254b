"""The API in Phota's shape: `/v1/phota`. A portrait model is called a profile at this border."""
