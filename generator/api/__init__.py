"""What programs talk to: thin routers over the services that the pages use."""
