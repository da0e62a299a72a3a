"""Below the routes: sockets, protocols, bodies, headers, certificates, the page's files."""
