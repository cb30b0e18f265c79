App({
  globalData: {
    // Your own back end. It calls GET /merchants/{business_id}/contact-button with its AWS
    // credentials; a Mini Program has none and must never get any.
    backend: 'https://shop.example.com',
  },
})
