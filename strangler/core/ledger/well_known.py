"""Words whose meaning in paths is known: endings of files, languages, and the usual words of applications."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


EXTENSIONS = _words(
    """
    7z aac action ashx asmx asp aspx atom avif axd bin bmp bz2 cfm cgi css csv dll do doc docx eot exe faces flac
    gif gz htm html ico ics ini jar jpeg jpg js jsf json jsonld jsp jspx less log m3u8 m4a m4s map md mjs mov mp3
    mp4 mpd msi odt ogg otf pdf php php3 php5 phtml pl png ppt pptx ps py rar rb rdf rss rtf sass scss seam shtml
    svc svg swf tar tgz tif tiff toml ts tsv ttf txt vcf vtt wasm wav webm webmanifest webp woff woff2 wsdl xhtml
    xls xlsx xml xsd xsl xslt yaml yml zip
    """
)
"""The endings of files. Elsewhere a dot is a character like others, as in `example.com` and `jane.doe`."""
ASSETS = _words(
    """
    avif css gif ico jpeg jpg js json map mjs mp4 otf png svg ttf txt wasm webm webp woff woff2
    """
)
"""The endings of files whose names hold the hash of a build."""
FORMATS = _words(
    """
    atom csv htm html ics json jsonld md pdf rss xlsx xml yaml
    """
)
"""The endings that name a format of a resource, not a kind of file: they fold with the words that have none."""
LANGUAGES = _words(
    """
    af ar at au az be bg bn br bs ca ch cn cs cy cz da de dk el en eo es et eu fa fi fr ga gb gl gu he hi hr hu hy
    id ie in is it ja jp ka kk km kn ko kr ky lb lo lt lv mk ml mn mr ms mt mx my nb ne nl nn no nz pa pl ps pt ro
    ru rw sd se si sk sl so sq sr sv sw ta te tg th tk tl tr ua uk ur us uz vi xh yi za zh zu
    """
)
"""Languages (ISO 639-1), and countries that sites are made for."""
BESIDE_VALUES = _words(
    """
    _bulk _count _search about account accounts activate add admin all api archive archives assets atom auth author
    authors autocomplete batch blog bulk cart categories category checkout comments confirm contact count create css
    current default delete docs download draft drafts edit exists export faq favicon.ico featured feed feed.xml
    files filter find fonts forgot graphql health healthz help home images img import impressum imprint index
    index.html index.php info js latest legal list live login logout lookup me media meta metrics new newest news
    oauth options page pages password ping popular preferences preview privacy profile public query random ready
    recent register remove reset robots.txt rpc rss schema search self session sessions settings shop sign_in
    sign_out sign_up signin signout signup sitemap.xml static stats status suggest summary swagger tag tags terms
    token tokens top trending update upload uploads validate verify version websocket ws
    """
)
"""Words that are words even beside values (`/users/me` and `/users/{}`), if they are called more than once."""
ON_ALL_RESOURCES = _words(
    """
    action activate actuator add admin ajax all api approve archive autocomplete batch bulk cancel change clone
    comments config copy count create data deactivate delete destroy detail details disable do_delete do_edit docs
    download edit enable export filter find form get health healthz history import index info insert items json list
    live lookup metrics modify move new openapi options order ping post preview print process query read ready
    reject remove restore save save_all schema search settings show sort stats status store submit suggest summary
    swagger update upload v1 v2 v3 validate version view xml
    """
)
"""Words below unlike parents (`/orders/new`, `/customers/new`): they do not show that the parents are alike."""
COLLECTIONS = _words(
    """
    a account accounts article articles author authors blog blogs brand brands by-name by-slug c categories category
    channel channels cities city client clients club clubs collection collections communities community companies
    company countries country customer customers event events game games go group groups guide guides hotel hotels i
    item items job jobs journal l label labels location locations member members merchant merchants news org
    org-units organisation organisations organization organizations orgs p package packages people person place
    places player players post posts product products profile profiles project projects r recipe recipes repo repos
    repositories repository restaurant restaurants s seller sellers shop shops space spaces store store-locator
    stores stories story t tag tags team teams tenant tenants thread threads topic topics u user username usernames
    users vendor vendors wiki workspace workspaces
    """
)
"""Parents of values: less is needed of words below them. What else stands there is in `BESIDE_VALUES`."""
