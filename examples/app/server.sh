#!/bin/sh
# A web server of one line.
exec httpd -f -p 8080 -h /srv/www
