"""What one client may use of the server, decided below the web framework: connections, bodies, headers, proxies."""
