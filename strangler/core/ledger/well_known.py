"""Words whose meaning in paths is known: endings of files, languages, and the usual words of applications."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


EXTENSIONS = _words(
    """
    7z aac action ashx asmx asp aspx atom avif axd bin bmp bz2 cfm cgi css csv dll do doc docx edi eot exe faces flac
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
PAGES = _words(
    """
    asp aspx cfm do htm html jsp jspx phtml php php3 php5 pl shtml xhtml
    """
)
"""The endings of pages, whose whole names are values where a part is: `blue-shoes-12345.html`. The names of other files
keep their words, `minutes-{}.pdf`."""
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
    a account accounts annonce annonces article articles articoli articolo articulo articulos artikel auteur auteurs
    author authors autor autore autores autori beitraege beitrag benutzer beruf berufe bestellung bestellungen blog
    blogs boutique boutiques brand brands by-name by-slug c categoria categorias categorie categories category channel
    channels cidade cidades cities citta city ciudad ciudades client cliente clientes clients club clubs collection
    collections commande commandes communities community companies company countries country customer customers
    etiqueta etiquetas evenement evenements event events fiche fiches filiale filialen firma firmen game games
    gebruiker gebruikers go group groups gruppe gruppen guide guides hersteller hotel hotels i item items job jobs
    journal kategorie kategorien klant klanten kunde kunden l label labels location locations loja lojas marca marcas
    marke marken marque marques member members membre membres merchant merchants merk merken mitglied mitglieder news
    noticia noticias notizia notizie nutzer onderwerp onderwerpen org org-units organisation organisations organization
    organizations orgs ort orte p package packages people person personen place places player players post posts
    prodotti prodotto product producto productos products produit produits produkt produkte produto produtos profil
    profile profiles profils project projects projekt projekte projet projets r receta recetas recette recettes recipe
    recipes region regionen repo repos repositories repository ressort ressorts restaurant restaurants rezept rezepte
    ricetta ricette s schlagwort schlagworte seller sellers shop shops space spaces stadt staedte store store-locator
    stores stories story sujet sujets t tag tags team teams tema temas tenant tenants thema theme themen themes thread
    threads tienda tiendas topic topics u user username usernames users usuario usuarios utente utenti utilisateur
    utilisateurs vendor vendors verein vereine ville villes wiki winkel winkels workspace workspaces
    """
)
"""Parents of values: less is needed of words below them. What else stands there is in `BESIDE_VALUES`."""
