# syntax=docker/dockerfile:1
# The gateway in every role, and the simulated ComfyUI. Debian's slim image: sharp and libsql come prebuilt for glibc.
# It holds 96 MB beside Node itself: 94 of libraries, 2 of ours. The Node version is the one that the tests run on.
ARG NODE_IMAGE=node:20-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM ${NODE_IMAGE} AS libraries
WORKDIR /app
COPY package.json package-lock.json ./
# Then without what no program reads: types, source maps, readmes, and the engine for another C library. A third less.
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && rm -rf node_modules/@libsql/*-musl \
  && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.md' \) -delete

FROM ${NODE_IMAGE}
WORKDIR /app
ENV NODE_ENV=production HOST=0.0.0.0 PORT=4000 DATA_DIR=/data
RUN mkdir /data && chown node:node /data
COPY package.json LICENSE ./
COPY --from=libraries /app/node_modules ./node_modules
COPY workflows ./workflows
COPY assets ./assets
COPY --from=build /app/dist ./dist
# 1000 is `node`: a number, so that Kubernetes can see that it is not root.
USER 1000:1000
VOLUME /data
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/ready').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# The program itself is process 1, so SIGTERM reaches it.
ENTRYPOINT ["node", "dist/main.js"]
CMD ["serve"]
