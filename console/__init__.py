"""The web console: pages for experts and those who answer them. It speaks to the services over HTTP, as any user would.

`app` all pages together · `visit` one request: who it is, and what the services answer · `session` who signed in ·
`speaking` HTTP to the services · `pages` templates and headers · `deciding` predictions, and flags raised on them ·
`many` flags by the thousand · `answering` flags, queue, talk, notices.
"""
