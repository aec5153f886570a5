// What workerd costs by itself.

const body = new TextEncoder().encode("x".repeat(1024));

export default {
  fetch: () => new Response(body),
};
