/** What every answer tells a browser not to do. */
import helmet from '@fastify/helmet'
import type { FastifyInstance } from 'fastify'

/**
 * Of every page: nothing from elsewhere, no inline scripts or styles, no frames around it. The player's terminal is WebAssembly.
 */
const CONTENT_SECURITY_POLICY = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'", "'wasm-unsafe-eval'"],
  styleSrc: ["'self'"],
  imgSrc: ["'self'", 'data:'],
  fontSrc: ["'self'"],
  connectSrc: ["'self'"],
  manifestSrc: ["'self'"],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
}

/** Register before the routes that it is for. @param isSecure whether browsers come over TLS */
export function securityHeaders(isSecure: boolean): (app: FastifyInstance) => void {
  return (app) => {
    void app.register(helmet, {
      contentSecurityPolicy: { useDefaults: false, directives: CONTENT_SECURITY_POLICY },
      crossOriginEmbedderPolicy: false,
      frameguard: { action: 'deny' },
      referrerPolicy: { policy: 'no-referrer' },
      hsts: isSecure ? { maxAge: 180 * 86_400 } : false,
    })
  }
}
