/** Logging in and out, and who one is then. */
import { z } from 'zod'
import { doneSchema, roleSchema, timeSchema } from './common.js'
import { json, operation } from './operation.js'

export const loginBody = z.strictObject({
  user: z.string().min(1).max(256),
  password: z.string().max(4096),
  otp: z.string().max(64).optional().describe('Reserved for a second factor'),
  cookie: z.boolean().optional().describe('For browsers: set a session cookie and answer no tokens'),
})
export const loginAnswer = z.object({
  user: z.string(),
  roles: z.array(roleSchema),
  token: z.string().optional().describe('Bearer of requests; absent with a cookie'),
  expiresAt: timeSchema.describe('End of the token, or of the cookie'),
  expiresIn: z.int().describe('The same in seconds'),
  refresh: z.string().optional().describe('Exchanged, once, for the next pair; absent with a cookie'),
  refreshExpiresAt: timeSchema.optional().describe('When the password is needed again'),
})
export type LoginResult = z.output<typeof loginAnswer>

export const whoamiAnswer = z.object({
  user: z.string(),
  groups: z.array(z.string()),
  roles: z.array(roleSchema),
  via: z.enum(['bearer', 'cookie']),
  expiresAt: timeSchema.optional(),
})
export type Whoami = z.output<typeof whoamiAnswer>

export const loginOperations = {
  login: operation({
    topic: 'login',
    method: 'POST',
    path: '/api/v1/login',
    access: 'anyone',
    summary: 'Log in with a password',
    body: loginBody,
    answer: json(loginAnswer),
  }),
  refresh: operation({
    topic: 'login',
    method: 'POST',
    path: '/api/v1/login/refresh',
    access: 'anyone',
    summary: 'Exchange a refresh token for the next pair of tokens; it is spent then',
    body: z.strictObject({ refresh: z.string().min(1).max(4096) }),
    answer: json(loginAnswer),
  }),
  logout: operation({
    topic: 'login',
    method: 'POST',
    path: '/api/v1/logout',
    access: 'user',
    summary: 'Revoke every token of this login',
    body: z.strictObject({ refresh: z.string().max(4096).optional().describe('Not needed: it goes with the login') }).optional(),
    answer: json(doneSchema),
  }),
  whoami: operation({
    topic: 'login',
    method: 'GET',
    path: '/api/v1/whoami',
    access: 'user',
    summary: 'Who the gateway takes you for, as the directory says now',
    answer: json(whoamiAnswer),
  }),
}
