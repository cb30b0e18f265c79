// Opens the conversation with one merchant of the platform. (Not called contact-button: WeChat has an
// old component of that name.)
//
//   <merchant-contact business-id="{{merchant.business_id}}" bind:return="onReturn" />
//
// `return` fires when the buyer comes back by tapping a card in the conversation; its detail has the
// card's `path` (with its query, as a page expects it).

Component({
  properties: {
    // As the back end tells it; leave it empty while it is not known.
    businessId: { type: String, value: '' },
    label: { type: String, value: '联系客服' },
    // The card offered to the buyer on entering, such as the product she looks at.
    showCard: { type: Boolean, value: false },
    cardTitle: { type: String, value: '' },
    cardPath: { type: String, value: '' },
    cardImage: { type: String, value: '' },
  },

  data: {
    sessionFrom: '',
  },

  observers: {
    // WeChat may leave the business id out of the event "entered the conversation"; the back end
    // then finds it here.
    businessId(businessId) {
      this.setData({ sessionFrom: businessId ? `wechat-kf:${businessId}` : '' })
    },
  },

  methods: {
    onContact(event) {
      const { path, query } = event.detail
      if (path) {
        this.triggerEvent('return', { path: pageOf(path, query) })
      }
    },
  },
})

// A card's path comes with or without the leading slash that wx.navigateTo wants.
function pageOf(path, query) {
  const page = path.startsWith('/') ? path : `/${path}`
  const pairs = Object.entries(query || {}).map(
    ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`,
  )
  return pairs.length && !page.includes('?') ? `${page}?${pairs.join('&')}` : page
}
