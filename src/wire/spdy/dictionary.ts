/**
 * The preset dictionary of SPDY/3 header compression (draft-mbelshe-httpbis-spdy-00 s2.6.10.1): header names and values
 * of HTTP, each behind its 32-bit length, then a tail of plain text. Both peers must hold the same 1,423 bytes; the test
 * checks the SHA-256.
 */

const WORDS =
  'options|head|post|put|delete|trace|accept|accept-charset|accept-encoding|accept-language|accept-ranges|age|allow|authorization|' +
  'cache-control|connection|content-base|content-encoding|content-language|content-length|content-location|content-md5|content-range|' +
  'content-type|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|' +
  'location|max-forwards|pragma|proxy-authenticate|proxy-authorization|range|referer|retry-after|server|te|trailer|transfer-encoding|' +
  'upgrade|user-agent|vary|via|warning|www-authenticate|method|get|status|200 OK|version|HTTP/1.1|url|public|set-cookie|keep-alive|origin'

const TAIL =
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505' +
  '203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found' +
  '500 Internal Server Error501 Not Implemented503 Service Unavailable' +
  'Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT' +
  'chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,' +
  'publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.'

/** Made once: it costs as much as an exec's headers do. Nobody may write to it. */
export const SPDY_DICTIONARY: Uint8Array = printDictionary()

function printDictionary(): Buffer {
  const parts = WORDS.split('|').map((word) => {
    const entry = Buffer.alloc(4 + word.length)
    entry.writeUInt32BE(word.length)
    entry.write(word, 4, 'latin1')
    return entry
  })
  return Buffer.concat([...parts, Buffer.from(TAIL, 'latin1')])
}
