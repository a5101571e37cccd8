// Node 20 lacks Promise.withResolvers (ECMAScript 2024), which libp2p 3 uses.
Promise.withResolvers ??= function withResolvers() {
  let resolve
  let reject
  const promise = new this((res, rej) => {
    resolve = res
    reject = rej
  })
  return { promise, resolve, reject }
}
